// Parameters, priors and data as in further/local_level.py: a Kalman filter of a level and the season's newest months.
data {
  int<lower=1> N;
  array[N] real values;
}
transformed data {
  matrix[12, 12] move = rep_matrix(0, 12, 12);
  vector[12] seen = rep_vector(0, 12);
  move[1, 1] = 1;
  move[2, 2:12] = rep_row_vector(-1, 11);
  for (k in 3:12) {
    move[k, k - 1] = 1;
  }
  seen[1:2] = rep_vector(1, 2);
}
parameters {
  real<lower=0> noise;
  real<lower=0> level_sd;
  real<lower=0> season_sd;
}
model {
  vector[12] mean_state = rep_vector(0, 12);
  matrix[12, 12] spread = diag_matrix(rep_vector(10, 12));
  noise ~ std_normal();
  level_sd ~ normal(0, 0.5);
  season_sd ~ normal(0, 0.3);
  for (n in 1:N) {
    real variance;
    vector[12] gain;
    mean_state = move * mean_state;
    spread = move * spread * move';
    spread[1, 1] += square(level_sd);
    spread[2, 2] += square(season_sd);
    gain = spread * seen;
    variance = dot_product(seen, gain) + square(noise);
    values[n] ~ normal(dot_product(seen, mean_state), sqrt(variance));
    mean_state += gain * ((values[n] - dot_product(seen, mean_state)) / variance);
    spread -= gain * gain' / variance;
  }
}

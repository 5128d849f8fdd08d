// Parameters, priors and data as in further/chess.py; players are numbered from 0. Skills sum to zero: they are normal in
// the coordinates of an orthonormal basis of that space.
data {
  int<lower=1> N;
  array[N] int<lower=0> white;
  array[N] int<lower=0> black;
  array[N] int<lower=0, upper=2> outcome;
}
transformed data {
  int players = max(max(white), max(black)) + 1;
  array[N] int has_white;
  array[N] int has_black;
  array[N] int result;
  matrix[players, players - 1] basis = rep_matrix(0, players, players - 1);
  for (n in 1:N) {
    has_white[n] = white[n] + 1;
    has_black[n] = black[n] + 1;
    result[n] = outcome[n] + 1;
  }
  for (k in 1:players - 1) {
    basis[1:k, k] = rep_vector(1 / sqrt(k * (k + 1.0)), k);
    basis[k + 1, k] = -k / sqrt(k * (k + 1.0));
  }
}
parameters {
  real<lower=0> skill_sd;
  vector[players - 1] skill_free;
  real first_move;
  ordered[2] bounds;
}
transformed parameters {
  vector[players] skill = basis * skill_free;
}
model {
  skill_sd ~ std_normal();
  skill_free ~ normal(0, skill_sd);
  first_move ~ normal(0, 0.5);
  bounds ~ normal([-0.5, 0.5]', 1);
  result ~ ordered_logistic(first_move + skill[has_white] - skill[has_black], bounds);
}

// Parameters, priors and data as in further/disease_map.py: places on a square grid, which share edges; BYM2.
data {
  int<lower=1> N;
  array[N] int<lower=0> cases;
  vector<lower=0>[N] expected;
  vector[N] poverty;
}
transformed data {
  int side = 1;
  vector[N] log_expected = log(expected);
  matrix[N, N] bonds = rep_matrix(0, N, N);
  real scale;
  while (square(side) < N) {
    side += 1;
  }
  for (a in 1:N) {
    for (b in 1:N) {
      int row_gap = abs((a - 1) %/% side - (b - 1) %/% side);
      int column_gap = abs((a - 1) % side - (b - 1) % side);
      if (row_gap + column_gap == 1) {
        bonds[a, a] += 1;
        bonds[a, b] = -1;
      }
    }
  }
  {
    // What neighbours alone leave, but for the mean of all: the inverse of the bonds where they have one.
    matrix[N, N] all_places = rep_matrix(1.0 / N, N, N);
    scale = exp(mean(log(diagonal(inverse(bonds + all_places) - all_places))));
  }
}
parameters {
  real level;
  real slope;
  real<lower=0> sd;
  real<lower=0, upper=1> shared;
  vector[N] own;
  vector[N] near;
}
model {
  vector[N] effect = sqrt(1 - shared) * own + sqrt(shared / scale) * near;
  level ~ std_normal();
  slope ~ std_normal();
  sd ~ std_normal();
  shared ~ beta(0.5, 0.5);
  own ~ std_normal();
  for (a in 1:N) {
    if ((a - 1) % side + 1 < side) {
      target += -0.5 * square(near[a] - near[a + 1]);
    }
    if (a + side <= N) {
      target += -0.5 * square(near[a] - near[a + side]);
    }
  }
  mean(near) ~ normal(0, 0.001);
  cases ~ poisson_log(log_expected + level + slope * poverty + sd * effect);
}

// Parameters, priors and data as in further/choices.py; brands are numbered from 0, whose utility is that of its price.
data {
  int<lower=1> N;
  int<lower=2> K;
  matrix[N, K] price;
  matrix[N, 5] traits;
  array[N] int<lower=0> choice;
}
parameters {
  vector[K - 1] level;
  matrix[5, K - 1] slope;
  real per_price;
}
model {
  matrix[N, K] utility = per_price * price;
  level ~ normal(0, 2);
  to_vector(slope) ~ std_normal();
  per_price ~ std_normal();
  utility[, 2:K] += traits * slope + rep_matrix(level', N);
  for (n in 1:N) {
    choice[n] + 1 ~ categorical_logit(utility[n]');
  }
}

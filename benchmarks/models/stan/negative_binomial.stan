// Parameters, priors and data as in negative_binomial.py; shops are numbered from 0.
data {
  int<lower=0> N;
  int<lower=1> K;
  array[N] int<lower=0> shop;
  matrix[N, K] x;
  array[N] int<lower=0> sold;
}
transformed data {
  int shops = max(shop) + 1;
  array[N] int place;
  for (n in 1:N) place[n] = shop[n] + 1;
}
parameters {
  real overall;
  real<lower=0> shop_sd;
  vector[shops] level;
  vector[K] effect;
  real<lower=0> dispersion;
}
model {
  overall ~ normal(0, 2);
  shop_sd ~ std_normal();
  level ~ normal(overall, shop_sd);
  effect ~ std_normal();
  dispersion ~ exponential(0.2);
  sold ~ neg_binomial_2_log_glm(x, level[place], effect, dispersion);
}

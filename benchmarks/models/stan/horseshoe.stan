// Parameters, priors and data as in horseshoe.py.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] x;
  vector[N] y;
}
parameters {
  real<lower=0> sigma;
  real<lower=0> overall;
  vector<lower=0>[K] local;
  real<lower=0> slab;
  real intercept;
  vector[K] raw;
}
transformed parameters {
  vector[K] effect = sigma * overall * local .* sqrt(slab ./ (slab + square(sigma * overall * local))) .* raw;
}
model {
  sigma ~ normal(0, 2);
  overall ~ student_t(2, 0, 5.0 / (K - 5.0) / sqrt(N));
  local ~ student_t(5, 0, 1);
  slab ~ inv_gamma(1, 1);
  intercept ~ normal(0, 5);
  raw ~ std_normal();
  y ~ normal_id_glm(x, intercept, effect, sigma);
}

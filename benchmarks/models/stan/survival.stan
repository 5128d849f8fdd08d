// Parameters, priors and data as in survival.py.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] x;
  vector<lower=0>[N] time;
  array[N] int<lower=0, upper=1> is_censored;
}
parameters {
  real<lower=0> shape;
  real intercept;
  vector[K] effect;
}
model {
  vector[N] scale = exp(intercept + x * effect);
  shape ~ normal(0, 2);
  intercept ~ normal(0, 2);
  effect ~ std_normal();
  for (n in 1:N) {
    target += is_censored[n] ? weibull_lccdf(time[n] | shape, scale[n]) : weibull_lpdf(time[n] | shape, scale[n]);
  }
}

// Parameters, priors and data as in ark.py.
data {
  int<lower=1> K;
  int<lower=K> T;
  vector[T] y;
}
transformed data {
  matrix[T - K, K] earlier;
  for (lag in 1:K) {
    earlier[, lag] = y[K + 1 - lag:T - lag];
  }
}
parameters {
  real alpha;
  vector[K] beta;
  real<lower=0> sigma;
}
model {
  alpha ~ normal(0, 10);
  beta ~ normal(0, 10);
  sigma ~ cauchy(0, 2.5);
  y[K + 1:T] ~ normal(alpha + earlier * beta, sigma);
}

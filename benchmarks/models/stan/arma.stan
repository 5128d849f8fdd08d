// Parameters, priors and data as in arma.py.
data {
  int<lower=1> N;
  array[N] real y;
}
parameters {
  real mean;
  real<lower=-1, upper=1> memory;
  real<lower=-1, upper=1> moving;
  real<lower=0> sigma;
}
model {
  vector[N] error;
  mean ~ normal(0, 10);
  sigma ~ cauchy(0, 2.5);
  error[1] = y[1] - (mean + memory * mean);
  for (n in 2:N) {
    error[n] = y[n] - (mean + memory * y[n - 1] + moving * error[n - 1]);
  }
  error ~ normal(0, sigma);
}

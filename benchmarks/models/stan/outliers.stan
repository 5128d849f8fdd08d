// Parameters, priors and data as in further/outliers.py.
data {
  int<lower=1> N;
  int<lower=1> K;
  matrix[N, K] x;
  vector[N] y;
}
parameters {
  real level;
  vector[K] slope;
  real<lower=0> tails;
  real<lower=0> spread;
}
model {
  level ~ normal(0, 10);
  slope ~ std_normal();
  tails ~ gamma(2, 0.1);
  spread ~ cauchy(0, 1);
  y ~ student_t(tails, level + x * slope, spread);
}

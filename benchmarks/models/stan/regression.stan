// Parameters, priors and data as in regression.py.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] design;
  array[N] int<lower=0, upper=1> observed_outcome;
}
parameters {
  real intercept;
  vector[K] beta;
}
model {
  intercept ~ normal(0, 2.5);
  beta ~ std_normal();
  observed_outcome ~ bernoulli_logit_glm(design, intercept, beta);
}

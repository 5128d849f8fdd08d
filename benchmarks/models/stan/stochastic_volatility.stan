// Parameters, priors and data as in stochastic_volatility.py.
data {
  int<lower=0> N;
  vector[N] returns;
}
parameters {
  real<lower=0> step_size;
  real<lower=0> degrees;
  vector[N] step;
}
transformed parameters {
  vector[N] volatility = exp(-4 + step_size * cumulative_sum(step));
}
model {
  step_size ~ exponential(10);
  degrees ~ exponential(0.1);
  step ~ std_normal();
  returns ~ student_t(degrees + 1, 0, volatility);
}

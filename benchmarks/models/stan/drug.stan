// Parameters, priors and data as in further/drug.py: a dose of 320 that is absorbed, and leaves one compartment.
data {
  int<lower=1> N;
  int<lower=1> K;
  matrix[N, K] log_concentration;
}
transformed data {
  row_vector[9] hours = [0.5, 1, 2, 3.5, 5, 7, 9, 12, 24];
  vector[3] usual = log([1.5, 2.8, 32]');
}
parameters {
  vector[3] typical;
  vector<lower=0>[3] sd;
  matrix[N, 3] body;
  real<lower=0> noise;
}
model {
  typical ~ normal(usual, 0.5);
  sd ~ normal(0, 0.5);
  noise ~ normal(0, 0.5);
  for (n in 1:N) {
    real absorption = exp(body[n, 1]);
    real volume = exp(body[n, 3]);
    real rate = exp(body[n, 2]) / volume;
    row_vector[9] left = exp(-rate * hours) - exp(-absorption * hours);
    body[n] ~ normal(typical', sd');
    log_concentration[n] ~ normal(log(320 * absorption / (volume * (absorption - rate)) * left), noise);
  }
}

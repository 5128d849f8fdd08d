// Parameters, priors and data as in radon.py; groups are numbered from 0.
data {
  int<lower=0> N;
  array[N] int<lower=0> county;
  vector[N] basement;
  vector[N] log_radon;
}
transformed data {
  int J = max(county) + 1;
  array[N] int place;
  for (n in 1:N) place[n] = county[n] + 1;
}
parameters {
  real intercept;
  real floor_effect;
  real<lower=0> county_sd;
  vector[J] county_raw;
  real<lower=0> sigma;
}
transformed parameters {
  vector[J] level = intercept + county_sd * county_raw;
}
model {
  intercept ~ normal(0, 10);
  floor_effect ~ normal(0, 2);
  county_sd ~ normal(0, 1);
  county_raw ~ std_normal();
  sigma ~ normal(0, 1.5);
  log_radon ~ normal(level[place] + floor_effect * basement, sigma);
}

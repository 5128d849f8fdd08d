// Parameters, priors and data as in mesquite.py.
data {
  int<lower=0> N;
  vector<lower=0>[N] weight;
  vector<lower=0>[N] diam1;
  vector<lower=0>[N] diam2;
  vector<lower=0>[N] canopy_height;
  vector<lower=0>[N] total_height;
  vector[N] group;
}
transformed data {
  vector[N] log_weight = log(weight);
  matrix[N, 6] design;
  design[, 1] = rep_vector(1, N);
  design[, 2] = log(diam1 .* diam2 .* canopy_height);
  design[, 3] = log(diam1 .* diam2);
  design[, 4] = log(diam1 ./ diam2);
  design[, 5] = log(total_height);
  design[, 6] = group;
}
parameters {
  vector[6] beta;
  real<lower=0> sigma;
}
model {
  log_weight ~ normal(design * beta, sigma);
}

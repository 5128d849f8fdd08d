// Parameters, priors and data as in nes2000.py.
data {
  int<lower=0> N;
  vector[N] partyid7;
  vector[N] real_ideo;
  vector[N] race_adj;
  array[N] int age_discrete;
  vector[N] educ1;
  vector[N] gender;
  vector[N] income;
}
transformed data {
  matrix[N, 9] design;
  design[, 1] = rep_vector(1, N);
  design[, 2] = real_ideo;
  design[, 3] = race_adj;
  for (n in 1:N) {
    for (group in 2:4) {
      design[n, group + 2] = age_discrete[n] == group;
    }
  }
  design[, 7] = educ1;
  design[, 8] = gender;
  design[, 9] = income;
}
parameters {
  vector[9] beta;
  real<lower=0> sigma;
}
model {
  partyid7 ~ normal(design * beta, sigma);
}

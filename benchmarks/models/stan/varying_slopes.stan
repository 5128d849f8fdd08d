// Parameters, priors and data as in varying_slopes.py; groups are numbered from 0. The covariance is reported as PyMC
// does, by the rows of its Cholesky factor.
data {
  int<lower=0> N;
  int<lower=1> K;
  array[N] int<lower=0> group;
  matrix[N, K] x;
  vector[N] y;
}
transformed data {
  int groups = max(group) + 1;
  array[N] int place;
  for (n in 1:N) place[n] = group[n] + 1;
}
parameters {
  vector[K] mean;
  vector<lower=0>[K] sds;
  cholesky_factor_corr[K] correlation;
  matrix[groups, K] raw;
  real<lower=0> sigma;
}
transformed parameters {
  matrix[K, K] factor = diag_pre_multiply(sds, correlation);
  vector[(K * (K + 1)) %/% 2] covariance;
  for (i in 1:K) {
    for (j in 1:i) {
      covariance[(i * (i - 1)) %/% 2 + j] = factor[i, j];
    }
  }
}
model {
  matrix[groups, K] varying = rep_matrix(mean', groups) + raw * factor';
  mean ~ normal(0, 2);
  sds ~ std_normal();
  correlation ~ lkj_corr_cholesky(2);
  to_vector(raw) ~ std_normal();
  sigma ~ std_normal();
  y ~ normal(rows_dot_product(x, varying[place]), sigma);
}

// Parameters, priors and data as in latent_process.py; PyMC adds 1e-6 to the diagonal.
data {
  int<lower=1> N;
  array[N] real x;
  array[N] int<lower=0> counts;
}
parameters {
  real<lower=0> length_scale;
  real<lower=0> amplitude;
  real level;
  vector[N] latent_rotated_;
}
transformed parameters {
  vector[N] latent;
  {
    matrix[N, N] covariance = add_diag(gp_matern52_cov(x, amplitude, length_scale), 1e-6);
    latent = cholesky_decompose(covariance) * latent_rotated_;
  }
}
model {
  length_scale ~ inv_gamma(5, 5);
  amplitude ~ std_normal();
  level ~ normal(0, 2);
  latent_rotated_ ~ std_normal();
  counts ~ poisson_log(level + latent);
}

// Parameters, priors and data as in gaussian_process.py; PyMC adds 1e-6 to the diagonal.
data {
  int<lower=1> N;
  array[N] real x;
  vector[N] y;
}
parameters {
  real<lower=0> length_scale;
  real<lower=0> amplitude;
  real<lower=0> noise;
}
model {
  matrix[N, N] covariance = add_diag(gp_exp_quad_cov(x, amplitude, length_scale), square(noise) + 1e-6);
  length_scale ~ inv_gamma(5, 5);
  amplitude ~ std_normal();
  noise ~ std_normal();
  y ~ multi_normal_cholesky(rep_vector(0, N), cholesky_decompose(covariance));
}

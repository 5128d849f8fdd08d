// Parameters, priors and data as in further/surface.py: 12 x 12 basis functions on a box half as wide again as the data.
data {
  int<lower=1> N;
  int<lower=1> K;
  matrix[N, K] where;
  vector[N] y;
}
transformed data {
  int each = 12;
  int terms = each * each;
  matrix[N, terms] basis;
  matrix[2, terms] frequency;
  vector[2] edge;
  vector[2] centre;
  for (d in 1:2) {
    edge[d] = 1.5 * (max(where[, d]) - min(where[, d])) / 2;
    centre[d] = (max(where[, d]) + min(where[, d])) / 2;
  }
  for (j in 1:terms) {
    frequency[1, j] = pi() * ((j - 1) % each + 1) / (2 * edge[1]);
    frequency[2, j] = pi() * ((j - 1) %/% each + 1) / (2 * edge[2]);
    for (n in 1:N) {
      basis[n, j] = sin(frequency[1, j] * (where[n, 1] - centre[1] + edge[1])) / sqrt(edge[1])
                    * sin(frequency[2, j] * (where[n, 2] - centre[2] + edge[2])) / sqrt(edge[2]);
    }
  }
}
parameters {
  vector<lower=0>[2] lengths;
  real<lower=0> height;
  real level;
  real<lower=0> noise;
  vector[terms] surface_hsgp_coeffs;
}
transformed parameters {
  vector[N] surface;
  {
    // The spectral density of a Matern 5/2 covariance in two dimensions.
    real scale = square(height) * 4 * pi() * tgamma(3.5) * 5 ^ 2.5 / (0.75 * sqrt(pi())) * lengths[1] * lengths[2];
    vector[terms] root;
    for (j in 1:terms) {
      root[j] = sqrt(scale * (5 + squared_distance(lengths .* frequency[, j], rep_vector(0, 2))) ^ (-3.5));
    }
    surface = basis * (root .* surface_hsgp_coeffs);
  }
}
model {
  lengths ~ inv_gamma(5, 3);
  height ~ std_normal();
  level ~ std_normal();
  noise ~ std_normal();
  surface_hsgp_coeffs ~ std_normal();
  y ~ normal(level + surface, noise);
}

// Parameters, priors and data as in further/hidden_states.py: the states are summed out by the forward algorithm.
data {
  int<lower=1> N;
  array[N] int<lower=0> counts;
}
parameters {
  array[3] simplex[3] moves;
  ordered[3] log_rate;
  simplex[3] first;
}
model {
  matrix[3, 3] log_moves;
  vector[3] paths;
  for (k in 1:3) {
    vector[3] weight = rep_vector(2, 3);
    weight[k] += 8;
    moves[k] ~ dirichlet(weight);
    log_moves[k] = log(moves[k])';
  }
  log_rate ~ normal([0.5, 1.5, 2.5]', 1);
  first ~ dirichlet(rep_vector(1, 3));
  for (n in 1:N) {
    vector[3] before = n == 1 ? log(first) : paths;
    for (k in 1:3) {
      real arrived = n == 1 ? before[k] : log_sum_exp(before + log_moves[, k]);
      paths[k] = arrived + poisson_log_lpmf(counts[n] | log_rate[k]);
    }
  }
  target += log_sum_exp(paths);
}

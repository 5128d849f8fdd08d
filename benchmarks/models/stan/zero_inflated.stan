// Parameters, priors and data as in zero_inflated.py.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] x;
  array[N] int<lower=0> counts;
}
parameters {
  vector[2] intercept;
  matrix[2, K] effect;
}
model {
  vector[N] there = intercept[1] + x * effect[1]';
  vector[N] log_rate = intercept[2] + x * effect[2]';
  intercept ~ normal(0, 2);
  to_vector(effect) ~ std_normal();
  for (n in 1:N) {
    if (counts[n] == 0) {
      target += log_sum_exp(bernoulli_logit_lpmf(0 | there[n]),
                            bernoulli_logit_lpmf(1 | there[n]) + poisson_log_lpmf(0 | log_rate[n]));
    } else {
      target += bernoulli_logit_lpmf(1 | there[n]) + poisson_log_lpmf(counts[n] | log_rate[n]);
    }
  }
}

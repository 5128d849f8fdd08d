// Parameters, priors and data as in further/capture_mixture.py: the kind of an animal, and whether it is one, summed out.
data {
  int<lower=1> N;
  array[N] int<lower=0, upper=10> times;
}
parameters {
  real<lower=0, upper=1> exists;
  real<lower=0, upper=1> bold;
  ordered[2] seen;
}
model {
  exists ~ beta(1, 1);
  bold ~ beta(2, 2);
  seen ~ normal([-2, 0]', 1);
  for (n in 1:N) {
    real alive = log(exists) + log_mix(bold, binomial_logit_lpmf(times[n] | 10, seen[2]),
                                       binomial_logit_lpmf(times[n] | 10, seen[1]));
    target += times[n] == 0 ? log_sum_exp(alive, log1m(exists)) : alive;
  }
}

// Parameters, priors and data as in further/state_polls.py; all are numbered from 0. How pollsters lean sums to zero: it
// is normal in the coordinates of an orthonormal basis of that space.
data {
  int<lower=1> N;
  array[N] int<lower=0> state;
  array[N] int<lower=0> week;
  array[N] int<lower=0> pollster;
  array[N] int<lower=1> n;
  array[N] int<lower=0> support;
}
transformed data {
  int states = max(state) + 1;
  int weeks = max(week) + 1;
  int pollsters = max(pollster) + 1;
  array[N] int of_pollster;
  matrix[pollsters, pollsters - 1] basis = rep_matrix(0, pollsters, pollsters - 1);
  for (i in 1:N) {
    of_pollster[i] = pollster[i] + 1;
  }
  for (k in 1:pollsters - 1) {
    basis[1:k, k] = rep_vector(1 / sqrt(k * (k + 1.0)), k);
    basis[k + 1, k] = -k / sqrt(k * (k + 1.0));
  }
}
parameters {
  real<lower=0> country_sd;
  real<lower=0> state_sd;
  vector[weeks] country_step;
  real<lower=0> level_sd;
  vector[states] level;
  matrix[states, weeks] state_step;
  real<lower=0> lean_sd;
  vector[pollsters - 1] lean_free;
}
transformed parameters {
  vector[pollsters] lean = basis * lean_free;
}
model {
  vector[weeks] country = country_sd * cumulative_sum(country_step);
  matrix[states, weeks] walk;
  vector[N] logit_support;
  country_sd ~ normal(0, 0.1);
  state_sd ~ normal(0, 0.1);
  country_step ~ std_normal();
  level_sd ~ normal(0, 0.5);
  level ~ normal(0, level_sd);
  to_vector(state_step) ~ std_normal();
  lean_sd ~ normal(0, 0.1);
  lean_free ~ normal(0, lean_sd);
  for (s in 1:states) {
    walk[s] = state_sd * cumulative_sum(state_step[s]);
  }
  for (i in 1:N) {
    logit_support[i] = level[state[i] + 1] + country[week[i] + 1] + walk[state[i] + 1, week[i] + 1];
  }
  support ~ binomial_logit(n, logit_support + lean[of_pollster]);
}

// Parameters, priors and data as in poll.py; groups are numbered from 0.
data {
  int<lower=0> N;
  array[N] int<lower=0> state;
  array[N] int<lower=0> age;
  array[N] int<lower=0> schooling;
  array[N] int<lower=0> state_age;
  vector[N] is_woman;
  array[N] int<lower=0, upper=1> agrees;
}
transformed data {
  int states = max(state) + 1;
  int ages = max(age) + 1;
  int schoolings = max(schooling) + 1;
  array[N] int in_state;
  array[N] int of_age;
  array[N] int of_schooling;
  array[N] int in_both;
  for (n in 1:N) {
    in_state[n] = state[n] + 1;
    of_age[n] = age[n] + 1;
    of_schooling[n] = schooling[n] + 1;
    in_both[n] = state_age[n] + 1;
  }
}
parameters {
  real intercept;
  real woman;
  real<lower=0> state_sd;
  vector[states] state_raw;
  real<lower=0> age_sd;
  vector[ages] age_raw;
  real<lower=0> schooling_sd;
  vector[schoolings] schooling_raw;
  real<lower=0> state_age_sd;
  vector[states * ages] state_age_raw;
}
transformed parameters {
  vector[states] state_effect = state_sd * state_raw;
  vector[ages] age_effect = age_sd * age_raw;
  vector[schoolings] schooling_effect = schooling_sd * schooling_raw;
  vector[states * ages] state_age_effect = state_age_sd * state_age_raw;
}
model {
  intercept ~ normal(0, 2);
  woman ~ std_normal();
  state_sd ~ std_normal();
  state_raw ~ std_normal();
  age_sd ~ std_normal();
  age_raw ~ std_normal();
  schooling_sd ~ std_normal();
  schooling_raw ~ std_normal();
  state_age_sd ~ std_normal();
  state_age_raw ~ std_normal();
  agrees ~ bernoulli_logit(intercept + woman * is_woman + state_effect[in_state] + age_effect[of_age]
                           + schooling_effect[of_schooling] + state_age_effect[in_both]);
}

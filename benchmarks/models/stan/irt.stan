// Parameters, priors and data as in irt.py; persons and items are numbered from 0.
data {
  int<lower=0> N;
  array[N] int<lower=0> person;
  array[N] int<lower=0> item;
  array[N] int<lower=0, upper=1> is_correct;
}
transformed data {
  int persons = max(person) + 1;
  int items = max(item) + 1;
  array[N] int who;
  array[N] int what;
  for (n in 1:N) {
    who[n] = person[n] + 1;
    what[n] = item[n] + 1;
  }
}
parameters {
  vector[persons] ability;
  real mean_difficulty;
  real<lower=0> difficulty_sd;
  vector[items] difficulty;
  real<lower=0> discrimination_sd;
  vector<lower=0>[items] discrimination;
}
model {
  ability ~ std_normal();
  mean_difficulty ~ std_normal();
  difficulty_sd ~ std_normal();
  difficulty ~ normal(mean_difficulty, difficulty_sd);
  discrimination_sd ~ normal(0, 0.5);
  discrimination ~ lognormal(0, discrimination_sd);
  is_correct ~ bernoulli_logit(discrimination[what] .* (ability[who] - difficulty[what]));
}

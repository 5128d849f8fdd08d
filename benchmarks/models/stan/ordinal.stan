// Parameters, priors and data as in ordinal.py; answers are numbered from 0.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] x;
  array[N] int<lower=0> answers;
}
transformed data {
  int levels = max(answers) + 1;
  array[N] int answer;
  for (n in 1:N) answer[n] = answers[n] + 1;
}
parameters {
  vector[K] effect;
  ordered[levels - 1] cutpoints;
}
model {
  effect ~ std_normal();
  cutpoints ~ normal(0, 2);
  answer ~ ordered_logistic_glm(x, effect, cutpoints);
}

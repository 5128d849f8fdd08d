// Parameters, priors and data as in league.py; teams are numbered from 0. Attacks and defences sum to zero: they are
// normal in the coordinates of an orthonormal basis of that space.
data {
  int<lower=0> N;
  array[N] int<lower=0> home;
  array[N] int<lower=0> away;
  array[N] int<lower=0> home_goals;
  array[N] int<lower=0> away_goals;
}
transformed data {
  int teams = max(home) + 1;
  array[N] int at_home;
  array[N] int as_guest;
  matrix[teams, teams - 1] basis = rep_matrix(0, teams, teams - 1);
  for (n in 1:N) {
    at_home[n] = home[n] + 1;
    as_guest[n] = away[n] + 1;
  }
  for (k in 1:teams - 1) {
    basis[1:k, k] = rep_vector(1 / sqrt(k * (k + 1.0)), k);
    basis[k + 1, k] = -k / sqrt(k * (k + 1.0));
  }
}
parameters {
  real advantage;
  real level;
  real<lower=0> attack_sd;
  real<lower=0> defence_sd;
  vector[teams - 1] attack_free;
  vector[teams - 1] defence_free;
}
transformed parameters {
  vector[teams] attack = basis * attack_free;
  vector[teams] defence = basis * defence_free;
}
model {
  advantage ~ normal(0, 0.5);
  level ~ std_normal();
  attack_sd ~ student_t(3, 0, 2.5);
  defence_sd ~ student_t(3, 0, 2.5);
  attack_free ~ normal(0, attack_sd);
  defence_free ~ normal(0, defence_sd);
  home_goals ~ poisson_log(level + advantage + attack[at_home] - defence[as_guest]);
  away_goals ~ poisson_log(level + attack[as_guest] - defence[at_home]);
}

// Parameters, priors and data as in further/marketing_mix.py: what was spent lasts for eight weeks.
data {
  int<lower=1> N;
  int<lower=1> K;
  matrix[N, K] spent;
  matrix[N, 4] season;
  vector[N] sales;
}
transformed data {
  array[K] matrix[N, 8] lagged;
  vector[8] lags = linspaced_vector(8, 0, 7);
  vector[N] time = linspaced_vector(N, 0, 1);
  for (k in 1:K) {
    lagged[k] = rep_matrix(0, N, 8);
    for (lag in 0:7) {
      lagged[k, (lag + 1):N, lag + 1] = spent[1:(N - lag), k];
    }
  }
}
parameters {
  vector<lower=0, upper=1>[K] lasts;
  vector<lower=0>[K] bends;
  vector<lower=0>[K] gain;
  real level;
  real trend;
  vector[4] waves;
  real<lower=0> noise;
}
model {
  vector[N] expected = level + trend * time + season * waves;
  lasts ~ beta(1, 3);
  bends ~ gamma(3, 1);
  gain ~ normal(0, 2);
  level ~ normal(5, 2);
  trend ~ std_normal();
  waves ~ double_exponential(0, 0.5);
  noise ~ std_normal();
  for (k in 1:K) {
    vector[8] weights = lasts[k] ^ lags;
    vector[N] adstock = lagged[k] * (weights / sum(weights));
    expected += gain[k] * tanh(bends[k] * adstock / 2);
  }
  sales ~ normal(expected, noise);
}

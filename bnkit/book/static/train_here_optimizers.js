// SGD and Adam over one row of parameters, in the order in which PyTorch computes them.

const BETA_1 = 0.9, BETA_2 = 0.999, ADAM_EPS = 1e-8;

export function makeOptimizer(name, n) {
  return name === "sgd" ? sgd : adam(n);
}

function sgd(theta, grad, lr) {
  for (let i = 0; i < theta.length; i++) theta[i] -= lr * grad[i];
}

function adam(n) {
  const first = new Float64Array(n), second = new Float64Array(n);
  let power1 = 1, power2 = 1;
  return (theta, grad, lr) => {
    power1 *= BETA_1;
    power2 *= BETA_2;
    const rate = lr / (1 - power1), spread = 1 / Math.sqrt(1 - power2);
    for (let i = 0; i < n; i++) {
      const g = grad[i];
      const m = (first[i] += (1 - BETA_1) * (g - first[i]));
      const v = (second[i] += (1 - BETA_2) * (g * g - second[i]));
      theta[i] -= (rate * m) / (Math.sqrt(v) * spread + ADAM_EPS);
    }
  };
}

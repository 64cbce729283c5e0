// What a file of JavaScript may export, and once was an error of upkeep itself.
const circle = { name: 'circle' };
circle.self = circle;
module.exports = {
  apps: [
    { script: 'app.js', env: { CIRCLE: circle } },
    { script: 'app.js', env: { BIG: { big: 10n } } },
    { script: 10n, instances: 10n },
    { script: 'app.js', exec_mode: new Date(Number.NaN), args: new Map([[1, 2]]) },
  ],
};

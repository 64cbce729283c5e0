module.exports = {
  apps: [
    {
      name: 'hello',
      script: './http/app.js',
      instances: 2,
      env: { PORT: '8080' },
      env_production: { PORT: '8090' },
    },
    { name: 'graceful', script: './graceful/app.js', exec_mode: 'cluster', kill_timeout: '5s' },
    { name: 'counter', script: './languages/counter.py' },
  ],
};

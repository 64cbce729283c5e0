// writes-lines.cjs NAME COUNT HOW GO: makes NAME.ready, waits for the file GO, writes numbered lines to stdout as fast as it
// can, and then its CPU time (in µs) to NAME.cpu and when it began (in ms) to NAME. HOW is `log` for console.log, `write`
// for process.stdout.write, `drain` for that with waiting where it says so, `turns` for ten lines in each turn of the loop.
const { existsSync, writeFileSync } = require('node:fs');

const [name, count, how, go] = process.argv.slice(2);
const COUNT = Number(count);

const line = (number) =>
  `${String(number).padStart(9, '0')} the quick brown fox jumps over the lazy dog, and runs on until the line is full .`;

const end = (began) => {
  const { user, system } = process.cpuUsage(began.cpu);
  writeFileSync(`${name}.cpu`, String(user + system));
  writeFileSync(name, String(began.at));
};

const begin = () => {
  const began = { at: Date.now(), cpu: process.cpuUsage() };
  const { stdout } = process;
  if (how === 'drain') {
    let number = 0;
    const goOn = () => {
      while (number < COUNT) {
        number += 1;
        if (!stdout.write(`${line(number)}\n`)) return stdout.once('drain', goOn);
      }
      return end(began);
    };
    goOn();
    return;
  }
  if (how === 'turns') {
    let number = 0;
    const goOn = () => {
      for (let line10 = 0; line10 < 10 && number < COUNT; line10 += 1) console.log(line((number += 1)));
      if (number < COUNT) setImmediate(goOn);
      else end(began);
    };
    goOn();
    return;
  }
  for (let number = 1; number <= COUNT; number += 1) {
    if (how === 'log') console.log(line(number));
    else stdout.write(`${line(number)}\n`);
  }
  stdout.write('', () => end(began));
};

writeFileSync(`${name}.ready`, '');
const looking = setInterval(() => {
  if (!existsSync(go)) return;
  clearInterval(looking);
  begin();
}, 1);

// reads-pipes PIPE FILE [PIPE FILE ...]: the least that keeps what is written to named pipes in files.
const { closeSync, constants, openSync, writeSync } = require('node:fs');
const { Socket } = require('node:net');

const paths = process.argv.slice(2);
const buffer = Buffer.allocUnsafeSlow(64 * 1024);
for (let at = 0; at < paths.length; at += 2) {
  const file = openSync(paths[at + 1], 'a');
  const callback = (bytes) => {
    for (let from = 0; from < bytes; ) from += writeSync(file, buffer, from, bytes - from);
    return true;
  };
  const fd = openSync(paths[at], constants.O_RDWR | constants.O_NONBLOCK);
  new Socket({ fd, readable: true, writable: false, onread: { buffer, callback } })
    .on('close', () => closeSync(file))
    .resume();
}
process.send('ready');

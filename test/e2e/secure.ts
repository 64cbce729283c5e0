import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { join } from 'node:path';

/** Makes a certificate for localhost. @returns the variables in which the fixtures look for it. */
export function selfSigned(folder: string): { KEY: string; CERT: string } {
  const KEY = join(folder, 'key.pem');
  const CERT = join(folder, 'cert.pem');
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...options, '-subj', '/CN=localhost', '-keyout', KEY, '-out', CERT], {
    stdio: 'pipe',
  });
  return { KEY, CERT };
}

export function getHttps(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve(body));
    });
    sent.on('error', reject);
    sent.end();
  });
}

export function getHttp2(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    session.on('error', reject);
    const stream = session.request({ ':path': '/' });
    let body = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve(body);
    });
  });
}

/** Sends one datagram. @returns what came back. */
export function echoOnce(port: number, message: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no datagram came back within 10 s'));
    }, 10_000);
    socket.on('message', (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer.toString());
    });
    socket.send(message, port, '127.0.0.1');
  });
}

/** Whether Node.js of this version lets several sockets listen on one port, as `balance: kernel` needs it. */
export function canReusePort(version: string, platform: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return platform === 'linux' && (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12));
}

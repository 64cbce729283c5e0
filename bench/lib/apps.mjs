import { dirname, join } from 'node:path';

const folder = join(dirname(import.meta.dirname), 'apps');

export const helloApp = join(folder, 'hello.cjs');
export const loadApp = join(folder, 'load.cjs');
export const helloClusterApp = join(folder, 'hello-cluster.cjs');
export const idleApp = join(folder, 'idle.cjs');

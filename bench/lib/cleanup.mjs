// Whatever is open is closed once, be it by the case itself, after a failure, or on Ctrl-C.
const open = new Set();
let interrupted = false;

export const closeLater = (close) => {
  let closing;
  const once = () => {
    closing ??= close().finally(() => open.delete(once));
    return closing;
  };
  open.add(once);
  return once;
};

/** Keeps the interrupted case from starting anything anew behind the clean-up. */
export const throwIfInterrupted = () => {
  if (interrupted) throw new Error('interrupted');
};

export const closeAll = () => Promise.allSettled([...open].map((close) => close()));

export const closeOnSignals = () => {
  const onSignal = async (code) => {
    if (interrupted) return;
    interrupted = true;
    console.error('\ninterrupted: cleaning up');
    await closeAll();
    process.exit(code);
  };
  process.on('SIGINT', () => onSignal(130));
  process.on('SIGTERM', () => onSignal(143));
};

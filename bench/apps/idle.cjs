// Does nothing.
setInterval(() => {}, 2 ** 30);

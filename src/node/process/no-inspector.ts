// Keeps SIGUSR1 from opening Node's inspector, through which every user of the machine could read the
// token. Node opens it for a process that does not listen for the signal; `--disable-sigusr1`, which Node
// 20 does not know, does the same from the first moment on.

process.on('SIGUSR1', () => {})

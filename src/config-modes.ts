// Who may enter DATA_DIR, whichever part of the service makes it first.

/** Where root runs the service, the embedded database runs as somebody else, who has to pass; nobody else may list or write. */
export const dataDirMode = process.getuid?.() === 0 ? 0o711 : 0o700

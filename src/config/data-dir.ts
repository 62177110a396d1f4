// Who may enter DATA_DIR, whichever part of the service makes it first.

/**
 * If root runs the service, the embedded database runs as another user, who has to enter the directory; nobody else may
 * list or write.
 */
export const dataDirMode = process.getuid?.() === 0 ? 0o711 : 0o700

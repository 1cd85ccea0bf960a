import type { Command } from 'commander'
export function addCerts(_program: Command): void {}

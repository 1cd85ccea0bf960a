import type { Command } from 'commander'
export function addInspect(_program: Command): void {}

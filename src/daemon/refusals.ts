import { type AppSpec, MOST_SPEC_BYTES, programToRun } from '../domain/app-spec.ts';
import { pidOf } from '../domain/instance.ts';
import { missingPath } from '../domain/release.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord } from '../protocol/messages.ts';
import type { DaemonPorts } from './ports.ts';
import type { Supervisors } from './supervisors.ts';
import type { ChangeKind, UnderWay } from './under-way.ts';

/** How an app is brought in. */
export interface How {
  readonly kind: ChangeKind;
  readonly canaryMs?: number | undefined;
  /** Of a restart: refused while a reload runs, which else it calls off. */
  readonly sparesReload?: boolean | undefined;
}

/** What is not begun at all, as it could only do harm. */
export class Refusals {
  readonly #ports: DaemonPorts;
  readonly #supervisors: Supervisors;
  readonly #underWay: UnderWay;

  constructor(ports: DaemonPorts, supervisors: Supervisors, underWay: UnderWay) {
    this.#ports = ports;
    this.#supervisors = supervisors;
    this.#underWay = underWay;
  }

  /** Of what no system could start, and no supervisor be told of. @returns null for none. */
  ofSize(spec: AppSpec): UpkeepError | null {
    const bytes = JSON.stringify(spec).length;
    if (bytes <= MOST_SPEC_BYTES) return null;
    const text = `${spec.name} has ${bytes} bytes of options and environment; ${MOST_SPEC_BYTES} are the most`;
    return new UpkeepError('CONFIG_INVALID', text, { hint: 'keep what is large in a file that the app reads' });
  }

  /** Of a change of an app to a spec. @returns null for none. */
  ofChange(app: AppRecord, spec: AppSpec, { kind, sparesReload = false }: How): UpkeepError | null {
    const size = this.ofSize(spec);
    if (size) return size;
    const busy = kind !== 'restart' || sparesReload ? this.whileReloading(app) : null;
    return busy ?? (kind === 'start' ? null : this.#ofMissing(app, spec));
  }

  whileReloading({ key, spec }: AppRecord): UpkeepError | null {
    return this.#underWay.has(key, 'reload')
      ? new UpkeepError('APP_BUSY', `a reload of ${spec.name} is running`)
      : null;
  }

  /** Of a start of an app that is there already, other than one that is down. @returns null for none. */
  ofStart(app: AppRecord, spec: AppSpec): UpkeepError | null {
    const runs = app.slots.some(
      ({ id }) => !['stopped', 'errored'].includes(this.#supervisors.instance(id)?.state.kind ?? 'stopped'),
    );
    const { script } = app.spec.program;
    const isIt = script === spec.program.script;
    if (!runs && !this.#underWay.has(app.key) && isIt) return null;
    const hint = isIt
      ? `\`upkeep restart ${spec.name}\` or \`upkeep reload ${spec.name}\`; -f restarts it with these options`
      : 'give this one another name with --name, or delete the other first';
    return new UpkeepError('APP_EXISTS', `there is an app named ${spec.name} already, for ${script}`, { hint });
  }

  /** What runs is not ended for what cannot be started. */
  #ofMissing({ slots }: AppRecord, spec: AppSpec): UpkeepError | null {
    const runs = slots.some(({ id }) => {
      const instance = this.#supervisors.instance(id);
      return instance && pidOf(instance) !== null;
    });
    if (!runs) return null;
    const missing = missingPath(spec, this.#ports);
    if (!missing) return this.#ofUnexecutable(spec);
    const { what, path, link } = missing;
    const leads = link && `${link.path} leads to ${link.target}`;
    const where = link?.path === path ? leads : `${path}${leads ? `, where ${leads}` : ''}`;
    const hint = 'what runs goes on; deploy it, or let the link lead elsewhere, and try again';
    return new UpkeepError('SCRIPT_NOT_FOUND', `its ${what} is not there: ${where}`, { hint });
  }

  #ofUnexecutable(spec: AppSpec): UpkeepError | null {
    const { exec, script } = programToRun(spec);
    if (exec !== script || this.#ports.isExecutable(script)) return null;
    const hint = `what runs goes on; chmod +x ${script}, and try again`;
    return new UpkeepError('SCRIPT_NOT_FOUND', `its script is not executable: ${script}`, { hint });
  }
}

// How a scenario describes its tables: what the columns are called, what they count in, and which of them are charted.

export interface Column {
  /** The figure's name in the samples. */
  key: string;
  title: string;
  unit?: string;
  digits: number;
  /** Shows a second column beside it: the median of the ratios to the baseline's figure of the same round. */
  ratio?: boolean;
  /** Draws it in the scenario's chart; a text is what the chart calls it. */
  chart?: boolean | string;
  /** It is CPU time for a unit of work, whose ratios two runs must agree on. */
  cost?: boolean;
}

export interface Table {
  name: string;
  title: string;
  columns: Column[];
  /** Shows the samples of this table of the scenario instead of its own. */
  samples?: string;
  /** The rows, where they are not the peers. */
  rows?: { name: string; title: string }[];
  /** The row that ratios are taken to. Default: the floor. */
  baseline?: string;
}

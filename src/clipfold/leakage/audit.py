"""The audit of the dealt folds: what a test part has in common with what its models learn or choose by.

`audit.json` holds

- `scheme`, `repeats`, `folds` (test parts in all), `manifest`, `usable`, `quarantined` (videos);
- `kinds`: for each kind of leak, `groups` (a group in several roles of a fold), `copies` (files of identical content)
  and `near_duplicates`, how many were `found` and whether the config has it `allowed`;
- `leaks`: how many were found in all; `stops`: the kinds found and not allowed, for which nothing is trained;
- `mark`: what tables of results say of leaks that were allowed, such as `random folds: 61 of 120 test videos leak`;
  empty where nothing leaks. It is the column `leakage` of `metrics`, `comparison`, `pairs`, `calibration`, `slices`;
- `tested`: videos in a test part; `leaking`: those of them that share group, content or recording with a video that the
  models of that fold learn or choose by;
- `groups_across_roles`, `copies_across_roles`: `fold`, `value` and `roles` of each;
- `copies`, `conflicting_labels`: sets of ids with identical content; those of them with different labels;
- `near_duplicates`: `pairs` found in all, `across_groups` of them, `other_labels` of them, and `across_roles`, a list,
  strongest first: `first`, `second` (ids), `change` and `score` (see `matches.SCHEMA`), `folds`, `groups`, `labels`;
- `groups`: `source` (`manifest`, `proposed`, or `both` where the manifest leaves some out), `count`, and what speaks
  for the proposed ones: `joined` (videos put together with others), `by_name` and `by_picture` (of them, for which
  reason), `pattern` (of file names, empty if none was fit), `pairs_within` (share of the near-duplicate pairs that lie
  within one pattern; null without pairs) and `by_chance` (what it would be for names without meaning).
"""

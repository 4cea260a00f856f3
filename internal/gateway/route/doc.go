// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package route is the route table: it finds the route for a method, a host and
// a path, and explains how.
//
// Of the routes that match, the first by these rules serves:
//
//  1. the higher priority;
//  2. the host: with port, exact, the longest wildcard, any;
//  3. the path: more literal segments, then more placeholders, then the literal
//     further left;
//  4. a route that names methods before one that takes all;
//  5. the older one, and at equal age the one listed first.
//
// A path matches a route's path at segment boundaries: /api takes /api, /api/
// and /api/x, and never /apiary. When no route admits the method, the best of
// the others is found, with the methods that would have been admitted.
//
// A Table is immutable. Build makes the next one from the one before and shares
// with it whatever did not change, so the cost of a change is the size of the
// change; and the cost of Find does not grow with the number of routes: it is
// some hash lookups per label of the host and per segment of the path.
package route

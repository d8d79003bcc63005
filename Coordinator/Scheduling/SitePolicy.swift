package import Cluster
import OrderedCollections

/// How healthy each site is, and how many reads all workers together may have under way there.
///
/// States of a site and what moves it:
///
///     healthy --(failures in a row)--> excluded --(cool-down over)--> probing --(a read succeeds)--> healthy
///                                          ^---------------------(a failure)----'
///
/// While healthy, the number of reads grows by steps as long as that brings more bytes a second, and is halved when
/// errors come (additive increase, multiplicative decrease). While probing it is the minimum: one for each worker.
/// Pure: reports and the clock are passed in, seconds of any clock that only grows.
package struct SitePolicy: Sendable {
    /// How fast a site's reads grow and shrink, and when it is excluded and for how long.
    package struct Settings: Sendable, Equatable {
        /// Reads under way at the beginning, all workers together.
        package var firstReads = 16
        /// Seconds over which throughput is compared.
        package var window = 2.0
        /// More bytes a second by this factor are a reason to grow on.
        package var growth = 1.05
        /// Windows at rest before growth is tried once more.
        package var rest = 10
        /// Failures in a row, of one worker, after which a site is excluded.
        package var maxFailures = 5
        /// Seconds for which a worker's success shows that the site is there.
        package var trust = 3.0
        /// Sites that are remembered.
        package var maxSites = 4096
        package var firstCoolDown = 2.0
        package var maxCoolDown = 120.0
        package init() {}
    }

    /// Whether a site is used, left alone until a time in seconds, or tried with one task.
    package enum Health: Sendable, Equatable {
        case healthy
        case excluded(until: Double)
        case probing
    }

    private struct Site {
        var health = Health.healthy
        var reads: Int
        var maxReads: Int
        var coolDown: Double
        /// Newest totals of each worker.
        var reports: OrderedDictionary<WorkerID, SiteReport> = [:]
        /// Totals of workers that left.
        var gone: SiteReport
        // At the window's start:
        var windowStart: Double
        var windowBytes: Int64 = 0
        var windowFaults: Int64 = 0
        var windowReads: Int64 = 0
        var bytesPerSecond = 0.0
        /// The throughput before the last growth; nil at rest.
        var before: Double?
        var resting = 0
        /// When each worker last read well.
        var succeeded: OrderedDictionary<WorkerID, Double> = [:]
        /// Some worker had reads waiting for room in this window.
        var saturated = false
    }

    private let settings: Settings
    private var sites: OrderedDictionary<String, Site> = [:]
    private var changed: OrderedSet<String> = []

    package init(_ settings: Settings = .init()) { self.settings = settings }

    // MARK: Events

    /// A worker's totals.
    package mutating func report(_ reports: [SiteReport], from worker: WorkerID, maxReads: (String) -> Int, now: Double)
    {
        for report in reports.prefix(settings.maxSites).map({ $0.sane() }) {
            guard sites[report.site] != nil || sites.count < settings.maxSites else { continue }
            var site =
                sites[report.site]
                ?? Site(
                    reads: min(settings.firstReads, maxReads(report.site)), maxReads: maxReads(report.site),
                    coolDown: settings.firstCoolDown,
                    gone: SiteReport(site: report.site), windowStart: now)
            let before = site.reports[worker]
            if before == nil { changed.append(report.site) }
            site.reports[worker] = report
            site.saturated = site.saturated || report.readsWaiting > 0
            let successes = report.reads + report.opens - (before?.reads ?? 0) - (before?.opens ?? 0)
            let failures = report.siteFaults - (before?.siteFaults ?? 0)
            if report.failuresInRow > 0 {
                site.succeeded.removeValue(forKey: worker)
            } else if successes > 0 {
                site.succeeded[worker] = now
            }
            update(&site, report, succeeded: successes > 0, failed: failures > 0, now)
            sites[report.site] = site
        }
    }

    private mutating func update(_ site: inout Site, _ report: SiteReport, succeeded: Bool, failed: Bool, _ now: Double)
    {
        switch site.health {
        case .healthy:
            // Another worker may still reach it: a worker's own network is not the site's fault.
            let dead =
                failed && report.failuresInRow >= settings.maxFailures
                && site.succeeded.values.allSatisfy { now - $0 > settings.trust }
            if dead { exclude(&site, report.site, now) }
        case .probing:
            if succeeded, report.failuresInRow == 0 {
                site.health = .healthy
                site.coolDown = settings.firstCoolDown
                site.reads = min(settings.firstReads, site.maxReads)
                restartWindow(&site, now)
                changed.append(report.site)
            } else if failed {
                exclude(&site, report.site, now)
            }
        case .excluded: break
        }
    }

    private mutating func exclude(_ site: inout Site, _ name: String, _ now: Double) {
        site.health = .excluded(until: now + site.coolDown)
        site.coolDown = min(2 * site.coolDown, settings.maxCoolDown)
        site.reads = 1
        changed.append(name)
    }

    /// A worker left: its totals stay, its reads do not.
    package mutating func workerLeft(_ worker: WorkerID) {
        for index in sites.values.indices {
            guard let last = sites.values[index].reports.removeValue(forKey: worker) else { continue }
            sites.values[index].gone.add(last)
            sites.values[index].succeeded.removeValue(forKey: worker)
            changed.append(sites.keys[index])
        }
    }

    /// Ends cool-downs and windows.
    package mutating func tick(now: Double) {
        for (index, name) in sites.keys.enumerated() {
            var site = sites.values[index]
            if case .excluded(let until) = site.health, now >= until {
                site.health = .probing
                restartWindow(&site, now)
                changed.append(name)
            }
            if now - site.windowStart >= settings.window { endWindow(&site, name, now) }
            sites.values[index] = site
        }
    }

    private mutating func endWindow(_ site: inout Site, _ name: String, _ now: Double) {
        let totals = Self.totals(site)
        let rate = Double(totals.bytes &- site.windowBytes) / (now - site.windowStart)
        let faults = totals.siteFaults &- site.windowFaults
        let reads = totals.reads &- site.windowReads
        site.bytesPerSecond = rate
        if site.health == .healthy {
            let reads = adjusted(site: &site, rate: rate, faults: faults, reads: reads)
            if reads != site.reads {
                site.reads = reads
                changed.append(name)
            }
        }
        restartWindow(&site, now)
    }

    private func adjusted(site: inout Site, rate: Double, faults: Int64, reads: Int64) -> Int {
        // An error in ten reads is too many for the load to be innocent.
        if faults > 0, faults > reads / 10 {
            site.before = nil
            site.resting = 0
            return max(1, site.reads / 2)
        }
        guard site.saturated, reads > 0 else { return site.reads }
        if let before = site.before, rate < before * settings.growth {
            // The last growth brought nothing: it is taken back, and tried again later.
            site.before = nil
            site.resting = settings.rest
            return max(1, site.reads - step(site))
        }
        if site.resting > 0 {
            site.resting -= 1
            return site.reads
        }
        site.before = rate
        return min(site.maxReads, site.reads + step(site))
    }

    private func step(_ site: Site) -> Int { max(1, site.reports.count) * 2 }

    private func restartWindow(_ site: inout Site, _ now: Double) {
        let totals = Self.totals(site)
        (site.windowStart, site.windowBytes, site.windowFaults, site.windowReads) = (
            now, totals.bytes, totals.siteFaults, totals.reads
        )
        site.saturated = false
    }

    private static func totals(_ site: Site) -> SiteReport {
        var totals = site.gone
        for report in site.reports.values { totals.add(report) }
        return totals
    }

    // MARK: Answers

    /// The directives for a worker that has just joined.
    package func directives() -> [SiteDirective] { sites.map { directive($0.key, $0.value) } }

    /// What changed since the last call, for all workers.
    package mutating func changes() -> [SiteDirective] {
        defer { changed = [] }
        return changed.compactMap { name in sites[name].map { directive(name, $0) } }
    }

    private func directive(_ name: String, _ site: Site) -> SiteDirective {
        let share = max(1, site.reads / max(1, site.reports.count))
        return SiteDirective(site: name, reads: share, excluded: isExcluded(site))
    }

    private func isExcluded(_ site: Site) -> Bool {
        if case .excluded = site.health { true } else { false }
    }

    /// Whether work that can only be done there must wait now.
    package func isExcluded(_ name: String) -> Bool { sites[name].map(isExcluded) ?? false }

    /// Only one task at a time goes there.
    package func isProbing(_ name: String) -> Bool { sites[name]?.health == .probing }

    /// Tasks that may be out at once for a site, beside what a single one reads: none, one, or as many as there are
    /// takers.
    package func maxTasks(_ name: String) -> Int {
        guard let site = sites[name] else { return .max }
        switch site.health {
        case .healthy: return .max
        case .probing: return 1
        case .excluded: return 0
        }
    }

    /// The health of a site, by its name; one of which nothing was reported is healthy.
    package func health(_ name: String) -> Health { sites[name]?.health ?? .healthy }

    /// The sites as people see them, sorted by name, with totals over all workers, those that left included.
    /// - Parameter now: seconds of the clock of the events.
    package func statuses(now: Double) -> [SiteStatus] {
        sites.map { name, site in
            let totals = Self.totals(site)
            var status = SiteStatus(site: name, state: .healthy)
            switch site.health {
            case .healthy: break
            case .probing: status.state = .probing
            case .excluded(let until): (status.state, status.excludedFor) = (.excluded, max(0, until - now))
            }
            status.files = Int(totals.opens)
            (status.reads, status.bytes, status.retries, status.faults) = (
                totals.reads, totals.bytes, totals.retries, totals.faults
            )
            status.lastFault = site.reports.values.reversed().compactMap(\.lastFault).first ?? site.gone.lastFault
            status.megabytesPerSecond = site.bytesPerSecond / 1e6
            status.maxReads = site.reads
            for report in site.reports.values {
                status.readsInFlight += report.readsInFlight
                status.longestWait = max(status.longestWait, report.longestWait)
                status.abandonedBytes += report.abandonedBytes
                if let expires = report.tokenExpires {
                    status.tokenExpires = min(expires, status.tokenExpires ?? expires)
                }
                if let warning = report.credentialWarning, !status.warnings.contains(warning) {
                    status.warnings.append(warning)
                }
            }
            status.latency50 = totals.latency(0.50)
            status.latency95 = totals.latency(0.95)
            status.latency99 = totals.latency(0.99)
            return status
        }.sorted { $0.site < $1.site }
    }

    /// What must hold after every event.
    package func validate() -> String? {
        for (name, site) in sites {
            if site.reads < 1 || site.reads > max(1, site.maxReads) {
                return "\(name): \(site.reads) reads are allowed of \(site.maxReads)"
            }
            if case .excluded = site.health, site.reads != 1 {
                return "\(name) is excluded, but \(site.reads) reads are allowed"
            }
            if site.coolDown < settings.firstCoolDown || site.coolDown > settings.maxCoolDown {
                return "\(name): a cool-down of \(site.coolDown) s"
            }
        }
        return nil
    }
}

extension SiteReport {
    /// The report within plausible bounds: counts that can be added up, texts that can be shown.
    func sane() -> SiteReport {
        var report = SiteReport(site: String(site.prefix(200)))
        func count(_ value: Int64) -> Int64 { max(0, min(value, 1 << 50)) }
        (report.opens, report.reads, report.bytes, report.retries) = (
            count(opens), count(reads), count(bytes), count(retries)
        )
        for fault in SiteFault.allCases {
            if let found = faults.first(where: { $0.fault == fault }) {
                report.faults.append(.init(fault, count(found.count)))
            }
        }
        report.failuresInRow = max(0, min(failuresInRow, 1 << 30))
        report.lastFault = lastFault.map { String($0.prefix(1000)) }
        for index in report.latencies.indices where index < latencies.count {
            report.latencies[index] = count(latencies[index])
        }
        (report.readsInFlight, report.readsWaiting) = (
            max(0, min(readsInFlight, 1 << 30)), max(0, min(readsWaiting, 1 << 30))
        )
        report.longestWait = longestWait.isFinite ? max(0, min(longestWait, 1e9)) : 0
        report.abandonedBytes = count(abandonedBytes)
        report.tokenExpires = tokenExpires.flatMap { $0.isFinite ? max(0, min($0, 1e12)) : nil }
        report.credentialWarning = credentialWarning.map { String($0.prefix(500)) }
        return report
    }

    /// Adds another worker's totals.
    mutating func add(_ other: SiteReport) {
        opens &+= other.opens
        reads &+= other.reads
        bytes &+= other.bytes
        retries &+= other.retries
        for fault in other.faults {
            if let index = faults.firstIndex(where: { $0.fault == fault.fault }) {
                faults[index].count &+= fault.count
            } else {
                faults.append(fault)
            }
        }
        lastFault = other.lastFault ?? lastFault
        for index in latencies.indices where index < other.latencies.count {
            latencies[index] &+= other.latencies[index]
        }
    }

    /// Seconds within which a share of the reads was answered: the upper bound of its bucket.
    func latency(_ share: Double) -> Double? {
        let all = latencies.reduce(0, &+)
        guard all > 0 else { return nil }
        var below: Int64 = 0
        var bound = 0.001
        for count in latencies {
            below &+= count
            if Double(below) >= share * Double(all) { return bound }
            bound *= 2
        }
        return bound
    }
}

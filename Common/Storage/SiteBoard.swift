package import Bytes
package import Cluster
import Synchronization

/// All sites that a worker deals with.
package final class SiteBoard: Sendable {
    private struct State {
        var catalog: SiteCatalog
        /// The worker's own sites file: its credentials take precedence over the coordinator's.
        var own: SiteCatalog
        var sites: [String: SiteAccess] = [:]
        var directives: [String: SiteDirective] = [:]
        var forwarded: String?
        var cache: RangeCache?
        var cacheFailure: InputError?
    }

    private let state: Mutex<State>
    private let resources: SourceResources

    /// - Parameters:
    ///   - catalog: the worker's own sites file.
    ///   - resources: what all files that are opened through this board share.
    package init(_ catalog: SiteCatalog = .init(), resources: SourceResources = .init()) {
        self.resources = resources
        state = Mutex(State(catalog: catalog, own: catalog))
        openCache()
    }

    /// The disk cache, where there is one.
    var cache: RangeCache? { state.withLock { $0.cache } }

    /// Why the cache that the sites file names is not used.
    package var cacheFailure: InputError? { state.withLock { $0.cacheFailure } }

    private func openCache() {
        guard let wanted = state.withLock({ $0.cache == nil ? $0.catalog.cache : nil }) else { return }
        do throws(InputError) {
            let cache = try RangeCache(directory: wanted.directory, bytes: wanted.bytes)
            state.withLock { if $0.cache == nil { $0.cache = cache } }
        } catch { state.withLock { $0.cacheFailure = error } }
    }

    package var catalog: SiteCatalog { state.withLock { $0.catalog } }

    /// The coordinator's sites file. Sites that only this worker's own file names stay.
    package func adopt(_ catalog: SiteCatalog) {
        state.withLock { state in
            var merged = catalog
            for site in state.own.sites {
                if let index = merged.sites.firstIndex(where: { $0.name == site.name }) {
                    if site.credentials != .init() { merged.sites[index].credentials = site.credentials }
                } else {
                    merged.sites.append(site)
                }
            }
            merged.cache = state.own.cache ?? catalog.cache
            state.catalog = merged
            for (name, access) in state.sites {
                access.configure(merged.limits(ofSite: name), Self.credentials(name, state))
            }
        }
        openCache()
    }

    /// Sets the token that the coordinator forwards for the running job, for all sites that have none of their own.
    package func forward(token: String?) {
        state.withLock { state in
            state.forwarded = token
            for (name, access) in state.sites { access.configure(access.limits, Self.credentials(name, state)) }
        }
    }

    private static func credentials(_ name: String, _ state: borrowing State) -> Credentials {
        // A job, a list or a replica list may name any host: tokens are for the sites that the catalogue names.
        let site = state.catalog.site(named: name)
        return Credentials(site?.credentials ?? .init(), forwarded: state.forwarded, discovers: site != nil)
    }

    /// The access to the site with this name; made at its first use.
    package func access(_ name: String) -> SiteAccess {
        state.withLock { state in
            if let known = state.sites[name] { return known }
            let access = SiteAccess(
                name, limits: state.catalog.limits(ofSite: name), credentials: Self.credentials(name, state),
                resources: resources)
            if let directive = state.directives[name] { access.apply(directive) }
            state.sites[name] = access
            return access
        }
    }

    /// The access to the site that a URL belongs to.
    package func access(url: String) -> SiteAccess { access(catalog.siteName(url)) }

    /// Follows the coordinator's directives, also for sites that are used later.
    package func apply(_ directives: [SiteDirective]) {
        for directive in directives {
            let known = state.withLock { state in
                state.directives[directive.site] = directive
                return state.sites[directive.site]
            }
            known?.apply(directive)
        }
    }

    /// What this worker saw of each remote site since it started, sorted by name.
    package func reports() -> [SiteReport] {
        state.withLock { Array($0.sites.values) }.filter { $0.site != "local" }.map(\.report).sorted {
            $0.site < $1.site
        }
    }

    /// The order in which replicas should be asked: their indices, the best first.
    package func ranks(_ replicas: [SiteCatalog.Replica]) -> [Int] {
        guard replicas.count > 1 else { return Array(replicas.indices) }
        let scores = replicas.map { access($0.site).score }
        var random = SystemRandomNumberGenerator()
        return ReplicaOrder.order(replicas, scores, &random)
    }

    /// Notes in each site's report what is wrong with this worker's credentials for it, and when they end.
    package func checkCredentials() {
        for access in state.withLock({ Array($0.sites.values) }) where access.site != "local" {
            access.checkCredentials()
        }
    }
}

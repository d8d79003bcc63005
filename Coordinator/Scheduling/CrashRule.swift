/// When a piece of work, a task or a training, is held to be what workers die of.
enum CrashRule {
    /// - Parameters:
    ///   - times: how often it was under way when a worker died and did not come back.
    ///   - with: the workers that died with it.
    ///   - all: the workers that died lately, those included.
    /// - Returns: whether that was twice and, where workers die without it too, more than without it; five times are
    ///   enough in any case.
    static func isPoison(times: Int, with: Int, all: Int) -> Bool { times >= 2 && (with > all - with || times >= 5) }
}

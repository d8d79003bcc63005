/// One kind of document: valid ones, and the code that reads it.
struct Kind: Sendable {
    let name: String
    /// Its share of a run over all kinds.
    let weight: Int
    let seeds: [Seed]
    let read: @Sendable ([UInt8]) -> Outcome

    /// The input of a number: the same one whichever kinds a run covers.
    func input(_ number: UInt64) -> (seed: Seed, bytes: [UInt8]) {
        var random = Mutator(number)
        let seed = seeds[Int(random.next() % UInt64(seeds.count))]
        return (seed, random.damage(seed))
    }

    /// The kind of a number in a run over all of them.
    static func kind(of number: UInt64, among kinds: [Kind]) -> Kind {
        // A stream of its own, so that the damage does not depend on the choice.
        var random = Mutator(number ^ 0x4B49_4E44)
        var draw = Int(random.next() % UInt64(kinds.reduce(0) { $0 + $1.weight }))
        for kind in kinds {
            draw -= kind.weight
            if draw < 0 { return kind }
        }
        return kinds[kinds.count - 1]
    }
}

/// How reading an input ended.
enum Outcome { case whole, partly, rejected }

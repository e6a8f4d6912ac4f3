/// The series one selector found, each with a window that only moves forward.
struct SelectorWindow {
    struct Track {
        /// Number of the label set.
        let series: Int
        let timestamps: [Int64]
        let values: [Double]
        /// The window: samples `low..<high`.
        var low = 0
        var high = 0
        /// The number under which a range function shows it; set when it first gives a value.
        var shown: Int?

        init(series: Int, timestamps: [Int64], values: [Double]) {
            self.series = series
            self.timestamps = timestamps
            self.values = values
        }
    }

    var tracks: [Track]
    /// Milliseconds from the beginning of the window to its end, both inclusive.
    let width: Int64

    /// Moves all windows so that they end at `time`, which must not go back.
    mutating func advance(to time: Int64) {
        let first = time - width
        for index in tracks.indices {
            let count = tracks[index].timestamps.count
            var (low, high) = (tracks[index].low, tracks[index].high)
            while high < count, tracks[index].timestamps[high] <= time { high += 1 }
            while low < high, tracks[index].timestamps[low] < first { low += 1 }
            tracks[index].low = low
            tracks[index].high = high
        }
    }
}

/// What a range function sees of one series.
struct RangeWindow {
    let timestamps: ArraySlice<Int64>
    let values: ArraySlice<Double>
    /// Unix milliseconds, both inclusive.
    let from: Int64
    let through: Int64

    init(_ track: SelectorWindow.Track, from: Int64, through: Int64) {
        timestamps = track.timestamps[track.low..<track.high]
        values = track.values[track.low..<track.high]
        self.from = from
        self.through = through
    }
}

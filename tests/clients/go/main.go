// What clickhouse-go, and Grafana's ClickHouse data source with it, do over HTTP. Arguments: address, user, token and
// what to do. The result is JSON on standard output; a ClickHouse exception is {"code", "message"}.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

type answer map[string]any

func open(address, user, token string, compression clickhouse.CompressionMethod) (driver.Conn, error) {
	return clickhouse.Open(options(address, user, token, compression))
}

func options(address, user, token string, compression clickhouse.CompressionMethod) *clickhouse.Options {
	return &clickhouse.Options{
		Addr:        []string{address},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "default", Username: user, Password: token},
		Compression: &clickhouse.Compression{Method: compression, Level: 1},
		Settings:    clickhouse.Settings{"max_execution_time": 30},
	}
}

// types: every kind of column that our tables have, and what else drivers meet.
func types(ctx context.Context, c driver.Conn) (answer, error) {
	var (
		number  uint64
		text    string
		low     string
		nothing *int32
		at      time.Time
		floats  map[string]float32
		texts   map[string]string
		list    []string
		real    float64
		yes     bool
	)
	row := c.QueryRow(ctx, `SELECT 18446744073709551615::UInt64, 'ü\n', toLowCardinality('low'), NULL::Nullable(Int32),
		toDateTime64('2026-01-02 03:04:05.123456789', 9, 'UTC'), map('a', 1.5::Float32), map('k', 'v'), ['x', 'y'],
		nan, true`)
	if err := row.Scan(&number, &text, &low, &nothing, &at, &floats, &texts, &list, &real, &yes); err != nil {
		return nil, err
	}
	return answer{"number": fmt.Sprint(number), "text": text, "low": low, "null": nothing == nil, "at_ns": fmt.Sprint(at.UnixNano()),
		"floats": floats, "texts": texts, "list": list, "nan": real != real, "yes": yes}, nil
}

func write(ctx context.Context, c driver.Conn) (answer, error) {
	if err := c.Exec(ctx, `CREATE TABLE IF NOT EXISTS go_rows (number UInt64, name LowCardinality(String),
		at DateTime64(9, 'UTC'), of Map(String, Float32), maybe Nullable(String)) ENGINE = MergeTree ORDER BY number`); err != nil {
		return nil, err
	}
	batch, err := c.PrepareBatch(ctx, "INSERT INTO go_rows")
	if err != nil {
		return nil, err
	}
	for number := uint64(0); number < 5000; number++ {
		at := time.Unix(0, 1_760_000_000_000_000_000+int64(number)).UTC()
		if err := batch.Append(number, fmt.Sprint("n", number%3), at, map[string]float32{"x": float32(number)}, nil); err != nil {
			return nil, err
		}
	}
	if err := batch.Send(); err != nil {
		return nil, err
	}
	var count, sum uint64
	var last time.Time
	row := c.QueryRow(ctx, "SELECT count(), sum(number), max(at) FROM go_rows WHERE name = {name:String}", clickhouse.Named("name", "n1"))
	if err := row.Scan(&count, &sum, &last); err != nil {
		return nil, err
	}
	return answer{"count": count, "sum": sum, "last_ns": fmt.Sprint(last.UnixNano())}, c.Exec(ctx, "DROP TABLE go_rows")
}

func stream(ctx context.Context, c driver.Conn) (answer, error) {
	rows, err := c.Query(ctx, "SELECT number, toString(number) FROM numbers(1000000)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var count, sum, number uint64
	var text string
	for rows.Next() {
		if err := rows.Scan(&number, &text); err != nil {
			return nil, err
		}
		count++
		sum += number
	}
	return answer{"count": count, "sum": sum}, rows.Err()
}

// table: any query as the data source reads it: by column types, through database/sql's cousin.
func table(ctx context.Context, c driver.Conn, query string) (answer, error) {
	rows, err := c.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	kinds := []string{}
	for _, kind := range rows.ColumnTypes() {
		kinds = append(kinds, kind.DatabaseTypeName())
	}
	count := 0
	for rows.Next() {
		count++
	}
	return answer{"columns": rows.Columns(), "types": kinds, "rows": count}, rows.Err()
}

// grafana: what the data source's health check and its editor send, through database/sql as it does.
func grafana(ctx context.Context, address, user, token string) (answer, error) {
	db := clickhouse.OpenDB(options(address, user, token, clickhouse.CompressionGZIP))
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return nil, err
	}
	found := answer{}
	for name, query := range map[string]string{
		"version":   "SELECT version()",
		"databases": "SHOW DATABASES",
		"tables":    "SELECT name FROM system.tables WHERE database = 'default'",
		"columns":   "DESCRIBE TABLE default.frames",
		"fields":    "SELECT DISTINCT arrayJoin(mapKeys(factors)) FROM default.frames LIMIT 1000",
		"macros": `SELECT toStartOfInterval(toDateTime(captured_at), INTERVAL 60 second) AS time, station_id, count() AS frames
			FROM default.frames WHERE captured_at >= toDateTime64(1760000000, 3) AND captured_at <= toDateTime64(1760009000, 3)
			AND (1 = 1) GROUP BY time, station_id ORDER BY time`,
		"logs": "SELECT captured_at AS timestamp, decision AS body, confidence, factors, attributes FROM default.frames LIMIT 5",
		"unit": "SELECT name, type FROM system.columns WHERE database = 'default' AND table = 'frames'",
	} {
		count, err := counted(ctx, db, query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		found[name] = count
	}
	return found, nil
}

func counted(ctx context.Context, db *sql.DB, query string) (int, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	count := 0
	for rows.Next() {
		values := make([]any, len(columns))
		for number := range values {
			values[number] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			return 0, err
		}
		count++
	}
	return count, rows.Err()
}

func run(address, user, token, what string, rest []string) (answer, error) {
	ctx := context.Background()
	if what == "grafana" {
		return grafana(ctx, address, user, token)
	}
	compression := clickhouse.CompressionNone
	if what == "types" || what == "stream" {
		compression = clickhouse.CompressionGZIP
	}
	if what == "lz4" {
		compression = clickhouse.CompressionLZ4
	}
	c, err := open(address, user, token, compression)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Ping(ctx); err != nil {
		return nil, err
	}
	switch what {
	case "types":
		return types(ctx, c)
	case "write":
		return write(ctx, c)
	case "stream":
		return stream(ctx, c)
	case "table":
		return table(ctx, c, rest[0])
	default:
		version, err := c.ServerVersion()
		if err != nil {
			return nil, err
		}
		return answer{"version": version.Version.String(), "timezone": version.Timezone.String()}, nil
	}
}

func main() {
	found, err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:])
	if err != nil {
		found = answer{"code": 0, "message": err.Error()}
		var exception *clickhouse.Exception
		if errors.As(err, &exception) {
			found["code"] = exception.Code
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		panic(err)
	}
}
